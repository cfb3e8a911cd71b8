FROM scratch
ARG S=9
STOPSIGNAL $S
COPY a.txt /
