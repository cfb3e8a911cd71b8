FROM scratch
ENV A=1 B C=2
