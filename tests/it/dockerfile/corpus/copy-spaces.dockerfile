FROM scratch
COPY ["with space.txt", "a.txt", "/d d/"]
