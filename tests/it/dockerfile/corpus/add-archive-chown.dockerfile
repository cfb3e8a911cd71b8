FROM scratch
ADD --chown=5:6 a.txt /x
