FROM localhost/under-the-hood/base
RUN --network=bridge id
