FROM scratch
COPY dir /x
COPY dir/ /y/
COPY dir/. /z
