FROM scratch
COPY .hidden /
COPY [".hidden", "a.txt", "/d/"]
