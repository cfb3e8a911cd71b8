FROM scratch
ENTRYPOINT exec top -b
COPY a.txt /
