FROM scratch
CMD one
CMD two
COPY a.txt /
