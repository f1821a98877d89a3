"""What a node keeps: the status of its link, its secret bits, and the pads that authenticate it.

`status` judges the link, `model` names what is kept, `sqlite` keeps it, `service` and `delivery`
hand it to consumers on this machine.
"""
