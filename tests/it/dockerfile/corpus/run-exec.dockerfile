FROM localhost/under-the-hood/base
RUN ["/bin/sh", "-c", "echo exec >/out; echo \"$0\" >>/out"]
