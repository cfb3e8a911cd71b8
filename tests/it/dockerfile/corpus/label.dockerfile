FROM scratch
LABEL a=1 "b c"="d e" f.g-h='i j' multi="one \
two"
ENV X=y
LABEL x=$X q="quote\"d" s='$X'
COPY a.txt /
