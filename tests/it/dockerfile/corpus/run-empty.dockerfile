FROM localhost/under-the-hood/base
RUN   
CMD x
