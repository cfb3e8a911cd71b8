#check=skip=all;error=true
#Syntax = example.com:5000/r2d4/mocker:1 --opt
FROM scratch
