FROM scratch
ENV A=1 B="two words" C=three\ words D='sin gle' E= F=""
ENV PATH=/bin:$PATH
COPY a.txt /
