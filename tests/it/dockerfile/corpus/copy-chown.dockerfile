FROM scratch
COPY --chown=1000:2000 dir /x
COPY --chown=7 a.txt /y
