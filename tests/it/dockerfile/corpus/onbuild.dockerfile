FROM scratch
ONBUILD COPY . /app
ONBUILD RUN ["make"]
onbuild run echo $HOME
COPY a.txt /
