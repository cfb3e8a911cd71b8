FROM scratch
COPY link /d/
COPY dirlink /e
