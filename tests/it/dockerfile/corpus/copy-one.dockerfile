FROM scratch
COPY a.txt /renamed
COPY a.txt /d/
COPY ./a.txt /deep/er/x
