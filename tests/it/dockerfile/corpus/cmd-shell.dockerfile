FROM scratch
CMD echo "hi there" $HOME
COPY a.txt /
