"""Colour spaces, statistics of colours, and transfers of one face's colours to another."""
