FROM scratch
COPY --chmod=640 a.txt script.sh /d/
