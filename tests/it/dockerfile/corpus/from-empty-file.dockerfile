
# only this

