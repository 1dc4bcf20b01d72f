"""overshoot_nb"""
