FROM scratch
ENV A  one  two 
ENV B "quoted" 'too'
COPY a.txt /
