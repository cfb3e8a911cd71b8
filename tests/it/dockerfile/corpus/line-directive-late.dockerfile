# a comment
# escape=`
FROM scratch
ENV A=b\
 c=d
