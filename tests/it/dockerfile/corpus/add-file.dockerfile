FROM scratch
ADD a.txt /x
ADD dir /d/
