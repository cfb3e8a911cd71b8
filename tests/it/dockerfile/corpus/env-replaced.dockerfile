FROM scratch
ENV A=1 B=2
ENV A=3
COPY a.txt /
