FROM localhost/under-the-hood/base
RUN ["sleep", 1]
