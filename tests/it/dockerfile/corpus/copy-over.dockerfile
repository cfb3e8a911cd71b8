FROM scratch
COPY a.txt /x
COPY b.txt /x
COPY dir /d
COPY dir/sub /d
