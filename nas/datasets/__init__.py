"""Image data sets: scikit-learn digits, CIFAR-10 and any image folder."""
