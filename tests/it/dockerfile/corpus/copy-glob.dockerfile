FROM scratch
COPY *.txt /d/
COPY dir/t* e?pty /e/
