"""What a data set gives to training, whichever it is: samples and their augmentation."""
