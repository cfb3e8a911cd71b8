FROM scratch AS x
COPY a.txt /first
FROM scratch AS x
COPY b.txt /second
FROM x
COPY a.txt /third
