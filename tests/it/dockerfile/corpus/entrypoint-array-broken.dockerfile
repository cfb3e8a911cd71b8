FROM scratch
ENTRYPOINT ["a", "b\x"]
