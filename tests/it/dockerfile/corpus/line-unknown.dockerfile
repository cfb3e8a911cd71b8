FROM scratch
COYP a.txt /
