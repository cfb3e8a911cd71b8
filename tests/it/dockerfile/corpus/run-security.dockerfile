FROM localhost/under-the-hood/base
RUN --security=insecure id
