FROM localhost/under-the-hood/base
RUN --network=host id
