FROM scratch
sudo apt-get install x
