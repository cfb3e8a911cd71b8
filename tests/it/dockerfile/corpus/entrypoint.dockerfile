FROM scratch
ENTRYPOINT ["/bin/x", "-y"]
CMD ["z"]
COPY a.txt /
