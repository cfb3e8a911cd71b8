FROM scratch AS a
ONBUILD COPY a.txt /triggered
ONBUILD ENV T=1
FROM a
COPY b.txt /
