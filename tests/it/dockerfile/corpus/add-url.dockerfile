FROM scratch
ADD https://example.com/file.tar.gz /
