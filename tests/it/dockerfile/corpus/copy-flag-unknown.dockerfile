FROM scratch
COPY \
  --chmd=640 \
  a.txt /
