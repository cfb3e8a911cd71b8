FROM scratch
ADD data.tar /d/
ADD data.tar.gz /e/
