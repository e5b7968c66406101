"""Attribution: saliency and Grad-CAM from one forward and one backward pass, and further methods by name."""
