FROM scratch
WORKDIR /srv
COPY a.txt here
COPY a.txt ./
WORKDIR sub
COPY b.txt .
