FROM scratch
COPY link dangling /d/
COPY dirlink /e
