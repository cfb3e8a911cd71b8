# syntax=docker/dockerfile:1
FROM scratch
ENV A=1 \
  B=2
COPY a.txt /
