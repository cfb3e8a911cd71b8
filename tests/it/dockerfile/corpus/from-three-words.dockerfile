FROM scratch with glee
