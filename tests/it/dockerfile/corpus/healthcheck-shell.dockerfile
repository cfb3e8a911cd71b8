FROM scratch
HEALTHCHECK CMD /check || exit 1
COPY a.txt /
