"""What an existing project needs: adopting."""
