FROM scratch
COPY --exclude=*.log --exclude=sub/** dir /x
