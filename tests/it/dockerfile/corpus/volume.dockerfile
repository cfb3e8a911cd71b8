FROM scratch
VOLUME /a /b
VOLUME ["/c", "/d e"]
ARG V=/v
VOLUME $V
COPY a.txt /
