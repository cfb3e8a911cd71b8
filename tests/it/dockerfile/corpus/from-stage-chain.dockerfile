FROM scratch AS one
ENV A=1
COPY a.txt /a
FROM one AS two
ENV B=$A
COPY b.txt /b
FROM two
COPY dir /dir
